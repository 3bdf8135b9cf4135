"""The synthesized state machines and the real handlers in one thread and in virtual time: a day takes a second.

Real: definitions, handlers, moto's interpreter, what lab/aws enforces. Modelled: hosts (no shell, no kernel), S3 as a
host reaches it. Any call of AWS can be made to go wrong. `world.deployed` is the way in; a run is a copy by fork.
"""
