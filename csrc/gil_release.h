// GilRelease: lets other Python threads run while this one waits.
//
// py::gil_scoped_release ends the process if it ends its scope while Python exits: Python 3.13 and
// older then end the thread inside its destructor (pthread_exit), which unwinds the stack and must
// not leave a destructor. Here such a thread waits for the end of the process instead, as Python
// 3.14 does.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace faceaffect {

class GilRelease {
 public:
  GilRelease() : state_(PyEval_SaveThread()) {}
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

  ~GilRelease() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {  // the unwinding of pthread_exit, which may not be left in a destructor
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

 private:
  PyThreadState* state_;
};

}  // namespace faceaffect
