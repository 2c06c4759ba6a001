"""Data sets of UniRef and Swiss-Prot: levels of clustering, holdouts, what diversity is worth."""
