"""The stages as functions: the signature of each is its command line, its docstring its help (ves.commands.arguments).

They read settings files and call the library, which is imported only then: torch takes seconds.
"""
