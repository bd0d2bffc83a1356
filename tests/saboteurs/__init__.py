"""Planted bugs: what the tests must catch (decision 17). They wrap the real commands; the product knows nothing of them.

*Acknowledge before commit* heals itself with the next hello: what was promised too early is found missing and sent again. So an
oracle must look between the death of the bridge and its return: what the station calls received must be there.
"""
