/* Included by the glue that cffi writes, after Python's headers.

   The glue would give the interpreter's lock away for each call.  A thread that computes takes it
   then, and gives it back only after the switch interval, 5 ms: a tick has some eight calls, and a
   frame is 20 ms.  A call takes tens of microseconds, for hundreds of streams less than a
   millisecond, and waits for nothing. */

#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }
