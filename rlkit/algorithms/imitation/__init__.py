"""Learning from what somebody did: who acts like them."""
