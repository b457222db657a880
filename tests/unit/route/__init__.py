"""Tests of `appliance.route`."""
