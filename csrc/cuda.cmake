# Adds the CUDA kernels to _native. AUTO tests the toolchain in a separate project first, so that a broken one
# disables the kernels instead of breaking the build.
set(FACEAFFECT_CUDA_ARCHS "" CACHE STRING
    "Compute capabilities such as 87 or 87,110; all: those of the wheels; empty: the GPU of this machine, else 87")
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75) # for the test project; check_language leaves it empty otherwise
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(FACEAFFECT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FACEAFFECT_CUDA=ON needs a working nvcc; none was found on PATH or in CUDACXX")
  endif()
  message(STATUS "faceaffect: no working nvcc, building without CUDA kernels")
  return()
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static) # the package must import where no CUDA runtime is installed
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE KNOWN_CODES)
string(REGEX REPLACE "[, ]+" ";" REQUESTED "${FACEAFFECT_CUDA_ARCHS}")
if(NOT REQUESTED)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  OUTPUT_VARIABLE CAPABILITIES RESULT_VARIABLE NO_DRIVER ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NO_DRIVER OR NOT CAPABILITIES MATCHES "^[0-9]")
    set(REQUESTED 87) # Jetson Orin; on a Jetson nvidia-smi does not report the capability
  else()
    string(REGEX REPLACE "[. ]" "" CAPABILITIES "${CAPABILITIES}")
    string(REGEX REPLACE "\n" ";" REQUESTED "${CAPABILITIES}")
    list(REMOVE_DUPLICATES REQUESTED)
  endif()
  message(STATUS "faceaffect: CUDA kernels for compute capability ${REQUESTED}; FACEAFFECT_CUDA_ARCHS chooses others")
endif()
set(ARCHITECTURES)
foreach(architecture 75 80 86 87 89 90 110 120)
  if(REQUESTED STREQUAL "all" AND KNOWN_CODES MATCHES "sm_${architecture}\n")
    list(APPEND ARCHITECTURES ${architecture})
  endif()
endforeach()
if(REQUESTED STREQUAL "all")
  set(REQUESTED)
endif()
foreach(architecture ${REQUESTED})
  if(NOT KNOWN_CODES MATCHES "sm_${architecture}\n")
    message(FATAL_ERROR "FACEAFFECT_CUDA_ARCHS must be 'all' or compute capabilities that this nvcc supports, got "
                        "${architecture}; `nvcc --list-gpu-code` lists them")
  endif()
  list(APPEND ARCHITECTURES ${architecture})
endforeach()

string(REPLACE ";" "-real;" REAL_ARCHITECTURES "${ARCHITECTURES}-real")
list(GET ARCHITECTURES 0 LOWEST)
# PTX of the lowest capability: the driver compiles it for GPUs between and after those listed.
list(APPEND REAL_ARCHITECTURES ${LOWEST}-virtual)
set(CMAKE_CUDA_ARCHITECTURES "${REAL_ARCHITECTURES}") # for targets defined below
set_target_properties(_native PROPERTIES CUDA_ARCHITECTURES "${REAL_ARCHITECTURES}") # defined above; Make requires it
# The graph layer is a separate target: the TensorRT plugin links it.
list(TRANSFORM OPS PREPEND csrc/ OUTPUT_VARIABLE CUDA_FILES)
list(TRANSFORM CUDA_FILES APPEND _cuda.cu)
list(REMOVE_ITEM CUDA_FILES csrc/au_gcn_cuda.cu)
add_library(faceaffect_au_gcn_cuda OBJECT csrc/au_gcn_cuda.cu)
add_library(faceaffect_cuda OBJECT ${CUDA_FILES} csrc/appearance_grid.cu)
foreach(kernels faceaffect_au_gcn_cuda faceaffect_cuda)
  set_target_properties(${kernels} PROPERTIES CUDA_STANDARD 17)
  target_compile_options(${kernels} PRIVATE $<$<BOOL:${FACEAFFECT_WERROR}>:-Werror=all-warnings>)
  target_sources(_native PRIVATE $<TARGET_OBJECTS:${kernels}>)
endforeach()
# Crops are bit-identical on all devices; the graph layer has a tolerance and may fuse multiply-adds.
target_compile_options(faceaffect_cuda PRIVATE --fmad=false)
list(JOIN ARCHITECTURES "," ARCHITECTURE_LIST)
target_compile_definitions(_native PRIVATE FACEAFFECT_HAS_CUDA FACEAFFECT_CUDA_ARCHITECTURES="${ARCHITECTURE_LIST}")
target_sources(_native PRIVATE csrc/check_cuda.cpp csrc/cuda_array.cpp csrc/cuda_kernels.cpp csrc/cuda_resources.cpp
                               csrc/cuda_stream.cpp csrc/device_guard.cpp csrc/device_memory.cpp)
target_link_libraries(_native PRIVATE CUDA::cudart_static)
