"""The pure rules of consent: what a person permits per topic, prefers, and asks to have confirmed."""
