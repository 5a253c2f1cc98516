"""The checks of a built playbook, beyond its models and builders. A check adds its faults and continues."""
