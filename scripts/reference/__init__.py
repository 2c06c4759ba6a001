"""The program that esmscale is compared with."""
