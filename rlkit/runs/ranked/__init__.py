"""One run of several processes, each a rank with environments of its own, that average their gradients."""
