"""Side by side with other gateways: the same serial lines, the same cut link, the same kill (`make bench-peers`, not part of the tests).

The method is the one of docs/reference/benchmarks.md, *Peers*: everybody reads a pseudo-terminal and publishes QoS 1 through one TCP
proxy to one mosquitto. What is lost is counted where a receiver of theirs would count it.
"""
