"""The staff's screens: Flask on loopback, Vietnamese first, English second. Shapes shown are computed in `present`, pure."""
