"""The pure rules of a journey: what becomes of a contact when something happens or an alarm rings."""
