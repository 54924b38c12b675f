package backendtest

var resourceRows = []Row{}
