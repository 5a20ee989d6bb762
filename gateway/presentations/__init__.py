"""Verifiable presentations: what a wallet showed, checked rule by rule and reported rule by rule."""
