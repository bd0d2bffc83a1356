"""One blueprint per screen. A screen reads rows, lets `present` make shapes of them, and calls one store function per write."""
