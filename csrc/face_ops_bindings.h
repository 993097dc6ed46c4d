// Python bindings of the small operations around the network: one call each instead of a dozen
// NumPy calls.
#pragma once

#include <pybind11/pybind11.h>

namespace faceaffect {

void bind_face_steps(pybind11::module_& m);

}  // namespace faceaffect
