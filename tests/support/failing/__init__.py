"""Services with a defect in them: they raise errors that hold what must never be logged."""
