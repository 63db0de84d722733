"""Evidence: that a collection is what somebody signed, and was there when somebody else's clock says so."""
