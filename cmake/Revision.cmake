# Writes OUTPUT with the version and the git revision, touching it only when they changed.
set(revision "unknown")
if(GIT)
  execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${SOURCE}
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    set(revision ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT
"#define ESMSCALE_VERSION \"${VERSION}\"
#define ESMSCALE_REVISION \"${revision}\"
")
