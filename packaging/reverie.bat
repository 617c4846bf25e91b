@echo off
rem SPDX-License-Identifier: Apache-2.0
rem
rem Runs Reverie from this folder, by the Java in it. REVERIE_JAVA_OPTS adds options for the JVM, for example -Xmx8g.
rem Where the folder holds Java for another system, a Java 25 of this one is taken: that of JAVA_HOME, or on the PATH.
setlocal DisableDelayedExpansion
set "home=%~dp0"
set "java=java.exe"
if defined JAVA_HOME set "java=%JAVA_HOME%\bin\java.exe"
for /d %%r in ("%home%runtime-*") do if exist "%%r\bin\java.exe" set "java=%%r\bin\java.exe"
set "options=-Xmx2g -XX:+UseParallelGC"
if defined REVERIE_JAVA_OPTS set "options=%REVERIE_JAVA_OPTS%"
set /p revision=<"%home%lib\revision"
"%java%" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED %options% -Djava.awt.headless=true "-Dreverie.revision=%revision%" -cp "%home%lib\*" reverie.app.Main %*
exit /b %ERRORLEVEL%
