# Adds the CUDA twins to _native. AUTO tries the toolchain in a project of its own first, so that a broken one costs
# the twins and not the build.
set(FACEAFFECT_CUDA_ARCHS "" CACHE STRING "Compute capabilities of the kernels, such as 87 or 87,110; empty: all")
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75) # for the trial; check_language leaves it empty otherwise
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(FACEAFFECT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FACEAFFECT_CUDA=ON needs a working nvcc; none was found on PATH or in CUDACXX")
  endif()
  message(STATUS "faceaffect: no working nvcc, building without CUDA twins")
  return()
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static) # the package must import where no CUDA runtime is installed
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE KNOWN_CODES)
string(REGEX REPLACE "[, ]+" ";" WANTED "${FACEAFFECT_CUDA_ARCHS}")
set(ARCHITECTURES)
foreach(architecture 75 80 86 87 89 90 110 120)
  if(NOT WANTED AND KNOWN_CODES MATCHES "sm_${architecture}\n")
    list(APPEND ARCHITECTURES ${architecture})
  endif()
endforeach()
foreach(architecture ${WANTED})
  if(NOT KNOWN_CODES MATCHES "sm_${architecture}\n")
    message(FATAL_ERROR "FACEAFFECT_CUDA_ARCHS must name compute capabilities that this nvcc knows, got "
                        "${architecture}; `nvcc --list-gpu-code` lists them")
  endif()
  list(APPEND ARCHITECTURES ${architecture})
endforeach()

string(REPLACE ";" "-real;" REAL_ARCHITECTURES "${ARCHITECTURES}-real")
list(GET ARCHITECTURES 0 LOWEST)
# Code of the lowest for the driver to compile: GPUs between and after those named run as well.
list(APPEND REAL_ARCHITECTURES ${LOWEST}-virtual)
set(CMAKE_CUDA_ARCHITECTURES "${REAL_ARCHITECTURES}") # of targets to come
set_target_properties(_native PROPERTIES CUDA_ARCHITECTURES "${REAL_ARCHITECTURES}") # it was made before; Make asks for it
# The graph layer stands alone: the TensorRT plugin is made of it.
list(TRANSFORM OPS PREPEND csrc/ OUTPUT_VARIABLE CUDA_FILES)
list(TRANSFORM CUDA_FILES APPEND _cuda.cu)
list(REMOVE_ITEM CUDA_FILES csrc/au_gcn_cuda.cu)
add_library(faceaffect_au_graph_cuda OBJECT csrc/au_gcn_cuda.cu)
add_library(faceaffect_cuda OBJECT ${CUDA_FILES} csrc/portrait_grid.cu)
foreach(kernels faceaffect_au_graph_cuda faceaffect_cuda)
  set_target_properties(${kernels} PROPERTIES CUDA_STANDARD 17)
  target_compile_options(${kernels} PRIVATE --fmad=false $<$<BOOL:${FACEAFFECT_WERROR}>:-Werror=all-warnings>)
  target_sources(_native PRIVATE $<TARGET_OBJECTS:${kernels}>)
endforeach()
list(JOIN ARCHITECTURES "," ARCHITECTURE_LIST)
target_compile_definitions(_native PRIVATE FACEAFFECT_HAS_CUDA FACEAFFECT_CUDA_ARCHITECTURES="${ARCHITECTURE_LIST}")
target_sources(_native PRIVATE csrc/check_cuda.cpp csrc/cuda_array.cpp csrc/cuda_kernels.cpp csrc/cuda_resources.cpp
                               csrc/cuda_stream.cpp csrc/device_memory.cpp)
target_link_libraries(_native PRIVATE CUDA::cudart_static)
