"""The demo: both ends of the kit and everything between them, on one machine, without a browser or with one.

`run` is its composition root. It starts the real commands as children (`children`) around a broker (`broker`) and a
link that can be cut (`proxy`), reads their journal lines (`steps`) and shows how a reading travels. `person` is the
staff and the doctor of ``--once``: they use the same pages as people do.
"""
