"""From YAML and command lines to objects: composition, schemas, signatures, messages, help and plugins."""
