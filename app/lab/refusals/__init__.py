"""What the real APIs refuse, as data: one table of rules per subject, each rule with its source.

The lab holds every rule against every request, by the kind of server it plays and the model that was asked for. A rule
can be switched off, or on, for one simulated provider (`refusals` of its profile); the default is as strict as life.
"""
