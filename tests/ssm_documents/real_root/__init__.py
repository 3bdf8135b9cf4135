"""A Debian host made of real packages, in namespaces of its own: image, start, and the FakeRoot that a test uses."""
