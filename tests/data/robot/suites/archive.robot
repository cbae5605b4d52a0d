*** Settings ***
Suite Teardown    Fail    the archive does not close

*** Test Cases ***
Keeps The Order
    No Operation
