"""Client software that nobody here wrote, each as its registry has it, against a real stack with the lab behind it.

`make clients` installs every client into a place of its own under build/clients, runs its cases in a process of its
own, and prints who can do what. A client is a folder: what to install (requirements.in and the compiled
requirements.txt, or package.json and its lock), and cases.py or cases.mjs, which runs in the client's environment and
knows harness.py or harness.mjs, and nothing else of this project.
"""
