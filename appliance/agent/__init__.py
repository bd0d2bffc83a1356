"""The box's own processes: loops that read top to bottom, one thread each.

`collect` is one measuring device on one line, `carry` is the link. In IEEE 11073 the *agent* is the measuring device and what
reads it is its *manager*: this package is that manager (docs/explanation/glossary.md).
"""
