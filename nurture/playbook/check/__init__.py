"""What a playbook may not be, beyond what its models and builders refuse. Every check puts faults and goes on."""
