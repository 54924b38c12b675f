package backendtest

var kernelRows = []Row{}
