"""The pure rules of a journey: the next state of a contact after an event or an alarm."""
