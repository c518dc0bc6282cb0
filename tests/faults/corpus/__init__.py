"""What strangers may send: hostile and sound, made when it is asked for, and never executed or unpacked."""
