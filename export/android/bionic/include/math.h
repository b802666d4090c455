#pragma once

double ceil(double x);
double floor(double x);
