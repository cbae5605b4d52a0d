*** Settings ***
Suite Setup    Fail    the database does not answer

*** Test Cases ***
Stores The Order
    No Operation

Finds The Order
    No Operation
