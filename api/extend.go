package api

// extend adds to a problem what its error knows besides.
func extend(*Problem, error) {}
