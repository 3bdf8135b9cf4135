"""What the default bus of EventBridge is told of incidents: read from the changes of their records. Owns no record."""
