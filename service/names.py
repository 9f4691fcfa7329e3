"""What a cell is called for a person."""

OWN_POINT = "prescribed"
"""The label of a user's own prescribed point."""


def prescribed_name(label: str) -> str:
    """The prescribed point by its label, which for the derived one is `golden`."""
    return label if label == OWN_POINT else f"{label} ({OWN_POINT})"
