"""What each lesson checks, hints at and is worth: one module a lesson, named after it."""
