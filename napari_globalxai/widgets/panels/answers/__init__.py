"""What the run was asked, as chapters of its report, and the forms that ask more."""
