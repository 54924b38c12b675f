package backendtest

var processRows = []Row{}
