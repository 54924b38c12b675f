package backendtest

var networkRows = []Row{}
