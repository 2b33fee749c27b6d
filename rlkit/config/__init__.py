"""From YAML and words on a command line to objects: composing, schemas, signatures, messages, help and plugins."""
