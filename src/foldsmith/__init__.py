"""From raw futures bars to a tested trading model whose out-of-sample numbers can be believed."""

__version__ = "0.1.0"
