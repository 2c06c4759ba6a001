// Gives the shared precompiled header (torch_header.h) a target to belong to.
