"""The devices of the box: what they say, how it is cut into frames, what it settles to, and who stands in for them."""
