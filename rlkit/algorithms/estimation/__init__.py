"""What a policy is worth, estimated from episodes that another one played."""
