"""What the operator tells about itself and its groups in numbers."""
