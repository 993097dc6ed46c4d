// The small steps around the network, bound to Python: one call each where NumPy would need a dozen.
#pragma once

#include <pybind11/pybind11.h>

namespace faceaffect {

void bind_face_steps(pybind11::module_& m);

}  // namespace faceaffect
