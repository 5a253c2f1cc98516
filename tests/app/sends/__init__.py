"""Tests of sends."""
