"""Long trials of the promise, each with a short form that the tests run."""
